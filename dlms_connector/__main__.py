"""`python -m dlms_connector` is the command `dlms-connector`."""

from dlms_connector.cli import main

if __name__ == "__main__":
    main(prog_name="dlms-connector")
