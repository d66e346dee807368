output "stack" {
  description = "The outputs of the stack, by the names of template.yaml: ApiUrl, BusArn, FunctionRoleArn and so on."
  value       = aws_cloudformation_stack.this.outputs
}
