"""Files of jobs: in the data folder, or in an object store.

storage         where files are kept: in the data folder
bucket          the same in an object store
objects         an object store
uploads         resumable uploads in the data folder
bucket_uploads  the same in an object store
artifacts       what a stage leaves, as JSON
"""
