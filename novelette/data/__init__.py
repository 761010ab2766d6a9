"""Pictures in: folders, files, arrays and named sets become uint8 images, and at last image tensors."""
