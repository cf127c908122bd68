function main(args) {
  const name = args.name || "world";
  console.log("greeting", name);
  return { greeting: `Hello, ${name}!`, node: process.version };
}
