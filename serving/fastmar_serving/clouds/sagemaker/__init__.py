"""A model on Amazon SageMaker: packed, deployed, asked in bulk, and removed again.

`aws.py` is the one file that knows boto3.
"""
