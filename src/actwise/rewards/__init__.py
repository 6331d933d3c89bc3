"""The judge: how right one completion is, measured against the recorded action."""
