"""Maps of several layers, of derivatives of second order, of several classes or samples."""
