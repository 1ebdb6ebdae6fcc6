// What every client is told and has to print: the twin of report.py, from which it gets the facts.
const told = JSON.parse(process.argv[2]);

export const { READ, COMPLETED, PROMPT } = told.facts;
export const command = () => told.command;
export const environment = () =>
  Object.fromEntries(Object.entries(process.env).filter(([name]) => /^(KALLYAI_.*|PATH|HOME)$/.test(name)));
export const say = (facts) => console.log(JSON.stringify(facts));
