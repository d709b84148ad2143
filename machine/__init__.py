"""All of ours that runs on rented machines. Standard library only; built and sent by activities."""
