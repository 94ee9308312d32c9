"""Commands about what may go: `retention plan | apply | explain`."""
