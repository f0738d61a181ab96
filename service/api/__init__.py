"""HTTP: the routes, and what surrounds every request.

app                   the application
context               what every request can reach
job_routes            /v1/jobs
upload_routes         /v1/uploads: resumable uploads
transcription_routes  /v1/audio/transcriptions: OpenAI's API
system_routes         engines, health, metrics
body                  a large body, and the space that it may take
forms                 a multipart form, to the disk as it arrives
handover              an upload becomes a job's recording
submission            a job that is sent becomes one that is queued
sending               a job's file as an answer
watching              one look at the database for all who watch
access                keys and rates
guard                 who may talk to a server without keys
headers               what is said to browsers and caches with every answer
tracing               an id, a log line and a count for every request
handlers              errors as problem documents
shapes                what the API takes and gives
descriptions          what signatures cannot say
document              the OpenAPI document
"""
