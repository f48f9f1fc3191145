"""What a store would take before anything is bought or built: arithmetic from measured rates."""
