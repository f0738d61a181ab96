// A job made of a finished upload, by a client whose types openapi-typescript has made:
//     node job.js URL UPLOAD
// prints the result's words by turn.
import createClient from "openapi-fetch";
import type { components, paths } from "./api.js";

declare const process: { argv: string[] };

type Form = components["schemas"]["JobForm"];
type Job = components["schemas"]["JobView"];

const [url, upload] = process.argv.slice(2);
const api = createClient<paths>({ baseUrl: url });

function multipart(form: Form): FormData {
  const body = new FormData();
  for (const [name, value] of Object.entries(form)) {
    body.append(name, typeof value === "string" ? value : JSON.stringify(value));
  }
  return body;
}

async function ended(job: Job): Promise<Job> {
  while (job.state === "queued" || job.state === "running") {
    await new Promise((resolve) => setTimeout(resolve, 100));
    const { data, error } = await api.GET("/v1/jobs/{id}", { params: { path: { id: job.id } } });
    if (error) throw new Error(error.detail);
    job = data;
  }
  return job;
}

const form: Form = { upload, options: { metadata: { from: "TypeScript" } } };
const made = await api.POST("/v1/jobs", { body: form, bodySerializer: multipart });
if (made.error) throw new Error(made.error.detail);
const job = await ended(made.data);
if (job.metadata.from !== "TypeScript") throw new Error(JSON.stringify(job));
const { data: result, error } = await api.GET("/v1/jobs/{id}/result", { params: { path: { id: job.id } } });
if (error) throw new Error(error.detail);
const turns = result.turns.map((turn) => result.tokens.slice(turn.token_start, turn.token_end));
console.log(JSON.stringify(turns.map((tokens) => tokens.map((token) => token.text))));
