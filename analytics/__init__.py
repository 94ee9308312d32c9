"""Analytics: usage metrics, the weekly report, and delivery to Mixpanel. Light to import: each part comes when needed."""

from __future__ import annotations

from voxledger.analytics.errors import AnalyticsError, DeliveryError, DeliveryRefused, DeliveryUnavailable

__all__ = ["AnalyticsError", "DeliveryError", "DeliveryRefused", "DeliveryUnavailable"]
