"""The verbs as plain functions: options in, an ``Answer`` out. They neither print their answer nor exit."""
