"""Jobs: batches of texts that somebody handed in, spoken line by line when engines have time; they survive the node."""

from voxledger.dashboards.jobs.job import Asked, Job, Progress, State
from voxledger.dashboards.jobs.jobs import Jobs

__all__ = ["Asked", "Job", "Jobs", "Progress", "State"]
