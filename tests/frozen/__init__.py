"""Archives of earlier versions, with requests and the answers of their time."""
