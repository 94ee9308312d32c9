"""Publishing: a report goes to each channel once: folder, bucket, mail, webhook."""
