"""What a plugin author imports: hooks, descriptors, and what each kind of plugin must provide."""
