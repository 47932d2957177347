"""A validation beside its inference: how much longer does it take?

    python benchmarks/validation.py [pictures] [objects] [noise]

Pictures of 640 x 480 as JPEG files, on a canvas of 800 x 1088, 100 detections in each: objects of COCO's sizes, or
noise as large as the picture. On a GPU ResNet-50-FPN with random weights works, and finds noise by itself; objects take
its place on the device. Without one, a stand-in takes as long as an H100 does for a picture, 4.7 ms, times the 16 cores
beside it over the cores here. In turns with the inference alone, which reads the pictures too: three passes at full
size, of 960 pictures on a GPU and of 320 by the stand-in, else one. Prints its findings; the stand-in's at full size
are written to benchmarks/results/validation.json too.
"""

if __name__ == "__main__":
    # The processes that a validation starts import this file anew: nothing heavy stands in it.
    from validation_pass import main

    main()
