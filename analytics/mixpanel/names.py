"""The names under which the journal knows what goes to Mixpanel."""

NAME = "mixpanel"
"""The subscription that delivers events."""
PROFILES = "mixpanel-profiles"
"""The one that keeps profiles up to date."""
BACKFILL = "mixpanel-backfill"
"""The lock of whoever sends again."""
