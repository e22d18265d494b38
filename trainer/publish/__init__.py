"""Publishing on the Hugging Face Hub: checked before anything is made, verified afterwards."""
