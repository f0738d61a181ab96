"""OpenAI's transcription API.

form     the fields of a request
answers  the answers, made from a transcript
"""
