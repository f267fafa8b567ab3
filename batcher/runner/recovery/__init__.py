"""What an earlier process left: submits in the air, ids the disk did not take, copied state files, pictures."""
