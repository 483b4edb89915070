"""Charts drawn on the server as inline SVG: no script, no ``style`` attribute, and they print.

Every function here is pure: numbers in, markup out. Geometry lives in SVG attributes and colour in
``static/css/components/charts.css``, so the pages work under ``style-src 'self'``.
"""
