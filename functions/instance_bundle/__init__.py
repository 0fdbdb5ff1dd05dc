"""`Custom::InstanceBundle`: an EC2 instance's bundle, declared in a CloudFormation stack."""
