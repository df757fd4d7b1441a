"""The data sets that go by a name, one file each."""
