variable "name" {
  description = "Name of the release; names of resources begin with it."
  type        = string
  default     = "candlewick"
}

variable "namespace" {
  description = "Namespace of the release."
  type        = string
  default     = "candlewick"
}

variable "create_namespace" {
  description = "Create the namespace."
  type        = bool
  default     = true
}

variable "chart" {
  description = "The chart: a path (helm/candlewick of a checkout) or an OCI address (oci://ghcr.io/OWNER/charts/candlewick)."
  type        = string
}

variable "chart_version" {
  description = "Version of a chart that comes from a registry; null for a path."
  type        = string
  default     = null
}

variable "values_files" {
  description = "Files with values, later ones win (see helm/candlewick/examples)."
  type        = list(string)
  default     = []
}

variable "set" {
  description = "Single values by name, as { \"processor.replicas\" = \"3\" }."
  type        = map(string)
  default     = {}
}

variable "timeout_seconds" {
  description = "How long the release may take to become ready."
  type        = number
  default     = 600
}

variable "atomic" {
  description = "Roll back when an upgrade does not become ready, remove an install that does not."
  type        = bool
  default     = true
}
