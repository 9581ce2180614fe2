"""Where records live: claim, find, read, save, publish and recover them. The one room that knows paths."""
