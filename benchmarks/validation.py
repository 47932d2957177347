"""A validation beside its inference: how much longer does it take?

    python benchmarks/validation.py [pictures] [objects] [noise]
    python benchmarks/validation.py 5000 pace

Pictures of 640 x 480 as JPEG files, on a canvas of 800 x 1088, 100 detections in each: objects of COCO's sizes, or
noise as large as the picture. On a GPU ResNet-50-FPN with random weights works, and finds noise by itself; objects take
its place on the device. Without one, a stand-in takes as long as an H100 does for a picture, 4.7 ms, times the 16 cores
beside it over the cores here. In turns with the inference alone, which reads the pictures too: three passes at full
size, of 960 pictures on a GPU, of 320 or 5,000 by the stand-ins, else one.

That stand-in shows whether the cores suffice for what is done beside it. "pace", without a GPU only, shows whether
the process that feeds the device keeps up: the stand-in takes an H200's 2.9 ms, and the processes beside do their work
once and send it again and again, as the cores for more are not here.

Prints its findings; those of stand-ins at full size are written to benchmarks/results/validation.json and
validation_pace.json too.
"""

if __name__ == "__main__":
    # The processes that a validation starts import this file anew: nothing heavy stands in it.
    from validation_pass import main

    main()
