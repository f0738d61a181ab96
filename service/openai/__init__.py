"""OpenAI's transcription API in our words.

form     the fields of a request
answers  what is answered
"""
