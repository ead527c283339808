"""A backbone trained on chosen images: their pixels, its training. Which images, and the page: run_fine_tuning.py."""
