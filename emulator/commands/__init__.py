"""The commands of `qsagin`, by what they are for."""
