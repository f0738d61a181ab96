"""HTTP, jobs and storage around `pipelines`; no speech mathematics here."""
