import pydeck
