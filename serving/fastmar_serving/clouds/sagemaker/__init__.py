"""Amazon SageMaker: package, deploy, batch transform and delete. Only `aws.py` uses boto3."""
