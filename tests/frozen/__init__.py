"""Archives of earlier versions, with requests and the answers that they gave then."""
