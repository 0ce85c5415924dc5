"""Messages about an integration's state: their text, their recipients and their delivery."""
