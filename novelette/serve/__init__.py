"""`novelette serve`: an exported detector over HTTP, with novelette.runtime behind it and no torch.

`app` joins the parts: `bodies` turns requests into pictures, `batching` scores those that wait together, `limits` says what is too much,
`answers` what is sent back, `metrics` what is counted. `protocol` reads the connections, `server` opens the port.
"""
