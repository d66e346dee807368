variable "package" {
  description = "Folder of the package: dist/ of `make package`, or the files of a release."
  type        = string
}

variable "architecture" {
  description = "Architecture of the function. The folder must contain the package for it."
  type        = string
  default     = "arm64"

  validation {
    condition     = contains(["arm64", "x86_64"], var.architecture)
    error_message = "The architecture is arm64 or x86_64."
  }
}

variable "bucket" {
  description = "Name of a bucket in the stack's Region, for the package. Only those who deploy should be able to write to it."
  type        = string
}

variable "stack_name" {
  description = "Name of the stack."
  type        = string
  default     = "ami-share"

  validation {
    condition     = can(regex("^[A-Za-z][A-Za-z0-9-]{0,49}$", var.stack_name))
    error_message = "The stack's name has at most 50 letters, digits and hyphens, and begins with a letter."
  }
}

variable "parameters" {
  description = "Parameters of the stack, by the names of docs/deployment.md, such as { AllowlistParameter = \"/ami-share/allowlist\" }."
  type        = map(string)
  default     = {}
}

variable "tags" {
  description = "Tags of the stack and its resources."
  type        = map(string)
  default     = {}
}
