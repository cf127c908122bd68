def main(args):
    name = args.get("name", "world")
    print("greeting", name)
    return {"greeting": f"Hello, {name}!"}
