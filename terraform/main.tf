resource "helm_release" "candlewick" {
  name             = var.name
  namespace        = var.namespace
  create_namespace = var.create_namespace
  chart            = var.chart
  version          = var.chart_version

  # Ready means: topics and tables made, processors running, the API answering.
  wait          = true
  wait_for_jobs = true
  timeout       = var.timeout_seconds
  atomic        = var.atomic

  values = [for file in var.values_files : file(file)]

  set = [for name, value in var.set : { name = name, value = value }]
}
