"""The same for a stream of JPEG files; `Task.method` is what becomes of it: "maps", "png", "jpg".

Each run goes through all pictures and gives the last one's heat.
"""
