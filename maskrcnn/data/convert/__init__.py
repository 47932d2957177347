"""Data sets of other annotation formats, to COCO's and back."""
