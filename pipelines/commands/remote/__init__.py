"""Commands that ask a service instead of opening a store. Imports no store, index or model."""
