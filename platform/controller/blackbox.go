package controller

import "regexp"

// images is the grammar of image references: [registry/]name[:tag][@digest].
// From the distribution project's specification.
var images = regexp.MustCompile(`\A(?:(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*(?::[0-9]+)?/)?` +
	`[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*(?:/[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*)*` +
	`(?::\w[\w.-]{0,127})?(?:@[A-Za-z][A-Za-z0-9]*(?:[+._-][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,})?\z`)

// maxImage is the longest image reference, in bytes: a name of 255, a tag and a digest.
const maxImage = 512

// applyImage makes a an action with an image of its own, and returns its code: empty where the
// image is all there is.
func (c *Controller) applyImage(a *Action, put *PutExec) (*string, error) {
	switch {
	case put.Image == "":
		return nil, Malformed("'image' must be a string defined in 'exec' for 'blackbox' actions")
	case !IsImage(put.Image):
		return nil, Malformed("could not parse image name")
	}
	code := ""
	if put.Code != nil {
		code = *put.Code
	}
	if size := int64(len(code)); size > c.cfg.Limits.Code {
		return nil, TooLarge("exec", size, c.cfg.Limits.Code)
	}
	a.Exec = Exec{Kind: kindBlackbox, Image: put.Image, Main: put.Main, Binary: isBinary(code)}
	return &code, nil
}

// show adds to an action's exec its code, where it has any.
func (e *Exec) show(code string) {
	if code != "" || e.Kind != kindBlackbox {
		e.Code = &code
	}
}

// IsImage reports whether text is a reference to an image.
func IsImage(text string) bool { return len(text) <= maxImage && images.MatchString(text) }
