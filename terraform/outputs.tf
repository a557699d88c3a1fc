output "name" {
  description = "Name of the release."
  value       = helm_release.candlewick.name
}

output "namespace" {
  description = "Namespace of the release."
  value       = helm_release.candlewick.namespace
}

output "app_version" {
  description = "Version of Candlewick that was installed."
  value       = helm_release.candlewick.metadata.app_version
}
