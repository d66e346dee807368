# Installs a package of `make package` or of a release: uploads it, and creates the stack of its template. The template
# stays the one description of what is deployed; this module adds nothing to it and repeats nothing of it.

locals {
  archive  = "${var.package}/ami-share-${var.architecture}.zip"
  layer    = "${var.package}/allowlist-layer.zip"
  template = file("${var.package}/ami-share-${var.architecture}.yaml")

  # What `aws cloudformation package` does: the names of files become addresses in S3. The keys hold the content's hash,
  # so that a new binary is a change of the stack.
  code   = "s3://${var.bucket}/${aws_s3_object.archive.key}"
  rules  = "s3://${var.bucket}/${aws_s3_object.layer.key}"
  placed = replace(replace(local.template, "CodeUri: ami-share-${var.architecture}.zip", "CodeUri: ${local.code}"), "ContentUri: allowlist-layer.zip", "ContentUri: ${local.rules}")
}

resource "aws_s3_object" "archive" {
  bucket = var.bucket
  key    = "${var.stack_name}/${filesha256(local.archive)}.zip"
  source = local.archive
}

resource "aws_s3_object" "layer" {
  bucket = var.bucket
  key    = "${var.stack_name}/${filesha256(local.layer)}.zip"
  source = local.layer
}

# Larger than a request to CloudFormation may be, so it is uploaded too.
resource "aws_s3_object" "template" {
  bucket       = var.bucket
  key          = "${var.stack_name}/${sha256(local.placed)}.yaml"
  content      = local.placed
  content_type = "application/yaml"
}

resource "aws_cloudformation_stack" "this" {
  name         = var.stack_name
  template_url = "https://${var.bucket}.s3.${data.aws_region.here.region}.${data.aws_partition.here.dns_suffix}/${aws_s3_object.template.key}"
  capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
  parameters   = var.parameters
  tags         = var.tags
}

data "aws_region" "here" {}

data "aws_partition" "here" {}
