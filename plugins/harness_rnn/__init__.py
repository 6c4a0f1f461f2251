"""The vanilla recurrent cell."""
