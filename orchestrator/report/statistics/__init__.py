"""What a project's runs of some days come to: pure folds of metrics lines and manifests."""
