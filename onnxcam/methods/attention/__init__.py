"""Maps made of a transformer's attentions."""
