"""A validation beside its inference: how much longer does it take?

    python benchmarks/validation.py [pictures]

Pictures of 640 x 480 as JPEG files, on a canvas of 800 x 1088, 100 detections in each. On a GPU by ResNet-50-FPN with
random weights, whose masks are noise as large as the picture. Without one, by a stand-in that takes as long as an
H100 does for a picture, 4.7 ms, times the 16 cores beside it over the cores here, and finds blobs of COCO's sizes or
noise. In turns with the inference alone, which reads the pictures too. Prints its findings; at full size, of 960
pictures on a GPU and of 320 by the stand-in, it writes benchmarks/results/validation.json too.
"""

if __name__ == "__main__":
    # The processes that a validation starts import this file anew: nothing heavy stands in it.
    from validation_pass import main

    main()
